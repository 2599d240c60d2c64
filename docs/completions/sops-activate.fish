# Completions of sops-activate for fish.

complete -c sops-activate -n __fish_use_subcommand -a doctor -d 'Say what is wrong with the secrets of a machine, and what to do'
complete -c sops-activate -n __fish_use_subcommand -a recipient -d 'Print every recipient that a key is'
complete -c sops-activate -n __fish_use_subcommand -a status -d 'Say which generation is live, and what is in it'
complete -c sops-activate -n __fish_use_subcommand -a decrypt -d 'Print one sops file, or one value of it, decrypted'

complete -c sops-activate -n __fish_use_subcommand -o check-mode -x -a 'manifest sopsfile off' -d 'Only check, and install nothing'
complete -c sops-activate -n __fish_use_subcommand -o ignore-passwd -d 'Look up no users and groups'
complete -c sops-activate -n __fish_use_subcommand -o version -d 'Print the version'
complete -c sops-activate -n __fish_use_subcommand -s h -o help -d 'Print a summary'

complete -c sops-activate -n '__fish_seen_subcommand_from doctor' -l host-key -r -d 'Say which files a host with this key could open'
complete -c sops-activate -n '__fish_seen_subcommand_from doctor' -l ignore-passwd -d 'Look up no users and groups'
complete -c sops-activate -n '__fish_seen_subcommand_from doctor' -l json -d 'Print JSON'
complete -c sops-activate -n '__fish_seen_subcommand_from doctor' -s h -l help -d 'Print a summary'

complete -c sops-activate -n '__fish_seen_subcommand_from recipient' -l json -d 'Print JSON'
complete -c sops-activate -n '__fish_seen_subcommand_from recipient' -s h -l help -d 'Print a summary'

complete -c sops-activate -n '__fish_seen_subcommand_from status' -l json -d 'Print JSON'
complete -c sops-activate -n '__fish_seen_subcommand_from status' -s h -l help -d 'Print a summary'

complete -c sops-activate -n '__fish_seen_subcommand_from decrypt' -l format -x -a 'yaml json binary dotenv ini' -d 'The format of the file'
complete -c sops-activate -n '__fish_seen_subcommand_from decrypt' -l extract -x -d 'Print one value'
complete -c sops-activate -n '__fish_seen_subcommand_from decrypt' -l key-file -r -d 'A file of age identities'
complete -c sops-activate -n '__fish_seen_subcommand_from decrypt' -l ssh-key -r -d 'A private ssh key'
complete -c sops-activate -n '__fish_seen_subcommand_from decrypt' -l json -d 'Print JSON'
complete -c sops-activate -n '__fish_seen_subcommand_from decrypt' -s h -l help -d 'Print a summary'
