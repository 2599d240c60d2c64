# shellcheck shell=bash
# Completions of sops-activate for bash.

_sops_activate() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} tool=${COMP_WORDS[1]} words=

    # Bash parts words at the equals sign.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $prev in
        -check-mode | --check-mode) words="manifest sopsfile off" ;;
        -format | --format) words="yaml json binary dotenv ini" ;;
        --extract) return ;;
        --host-key | --key-file | --ssh-key) ;;
        *)
            if ((COMP_CWORD == 1)); then
                tool=
                [[ $cur == -* ]] || words="doctor recipient status decrypt"
            fi
            if [[ $cur == -* ]]; then
                case $tool in
                    doctor) words="--host-key= --ignore-passwd --json --help" ;;
                    recipient) words="--json --help" ;;
                    status) words="--json --help" ;;
                    decrypt) words="--format= --extract= --key-file= --ssh-key= --json --help" ;;
                    *) words="-check-mode= -ignore-passwd -version -help" ;;
                esac
            fi
            ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    if [[ ${COMPREPLY[0]-} == *= ]]; then
        compopt -o nospace
    fi
}

# What is none of the words is a file.
complete -o default -F _sops_activate sops-activate
