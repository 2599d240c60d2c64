# Values of a unit's settings as a configuration writes them, in the form that ordering.nix takes.
{lib}: rec {
  # A setting that may stand several times, each time with several words.
  words = value: lib.filter (word: word != "") (lib.concatMap (text: lib.splitString " " (toString text)) (lib.toList value));
  isNo = value: lib.elem value [false 0 "0" "no" "n" "false" "f" "off"];
  isYes = value: lib.elem value [true 1 "1" "yes" "y" "true" "t" "on"];
}
