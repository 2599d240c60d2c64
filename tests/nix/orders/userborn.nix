{services.userborn.enable = true;}
