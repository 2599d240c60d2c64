# shellcheck shell=bash
# To be sourced by `run`: a virtual machine whose power fails at every moment of making its key, of its first activation and of a
# change. Its units are those of the configuration ours-power-cuts in tests/nix.
#
# There is one machine, which stops at each moment in turn. What its disk holds then is what a power cut would leave: the emulator keeps
# that as it is, and what is written from then on goes to another layer. What was kept is booted.
# shellcheck disable=SC2034,SC2154

readonly power_cuts=ours-power-cuts.json
readonly changed_by_cut='.manifest.content.secrets |= map(if .name == "one" then .key = "two"
    elif .name == "two" then .key = "nested/sibling" else .path = "/var/lib/app/deeper/three" end)'
# In the order in which they come.
readonly moments_of_key=(key-directory-made key-file-made key-half-written key-written key-synchronised key-renamed
    key-directory-synchronised key-directory-above-synchronised)
readonly moments_of_boot=(before-the-mount mounted generation-half-written generation-whole switched list-half-written link-half-made
    copy-made)
readonly moments_of_change=(old-link-removed before-telling pruned)

cuts() {
    local moments=() pids=() moment plug to_emulator from_emulator layer=$work/cuts.img format=raw next
    title 'a virtual machine that makes its key, activates and changes, and stops at every moment of it'
    make_power_cuts
    rm -rf -- "$work/cuts"
    mkdir -p -- "$work/cuts"
    mkfifo -- "$work/cuts"/{plug,qmp.in,qmp.out}
    exec {plug}<>"$work/cuts/plug" {to_emulator}<>"$work/cuts/qmp.in" {from_emulator}<>"$work/cuts/qmp.out"
    vm_input=$work/cuts/plug vm_options=(-chardev "pipe,id=qmp,path=$work/cuts/qmp" -mon 'chardev=qmp,mode=control')
    restart_vm "$layer" boot-test.cuts
    vm_input=/dev/null vm_options=(-snapshot)
    ask_emulator qmp_capabilities '{}'
    while await_moment; do
        moments+=("$moment")
        mkdir -p -- "$work/cuts/$moment"
        next=$work/cuts/$moment/after.qcow2
        ask_emulator blockdev-snapshot-sync "{\"device\": \"disk\", \"snapshot-file\": \"$next\"}"
        # The machine stands still meanwhile, and there are two processors.
        if ((${#pids[@]} > 1)); then
            wait "${pids[0]}" || true
            pids=("${pids[@]:1}")
        fi
        boot_after "$moment" "$layer" "$format" >"$work/cuts/$moment/log" 2>&1 &
        pids+=($!)
        layer=$next format=qcow2
        printf 'go on\n' >&"$plug"
    done
    is 'it came to its end' end cuts
    end_vm
    vm_options=()
    exec {plug}>&- {to_emulator}>&- {from_emulator}>&-
    after_power_cut 'without a power cut' boot
    after_power_cut 'without a power cut' changed
    check 'it came to every moment, in this order' "${moments[*]-}" "${moments_of_key[*]} ${moments_of_boot[*]} ${moments_of_change[*]}"
    wait "${pids[@]}" || true

    title 'the same machine, after a power cut at each of these moments'
    for moment in "${moments[@]}"; do
        fact=()
        # shellcheck disable=SC1090
        if [[ -e $work/cuts/$moment/facts ]]; then . "$work/cuts/$moment/facts"; fi
        if [[ " ${moments_of_change[*]} " == *" $moment "* ]]; then
            after_power_cut "$moment" boot changed
        else
            after_power_cut "$moment" boot
        fi
        left_by_power_cut "$moment"
    done
}

# ask_emulator COMMAND ARGUMENTS: of QEMU's machine protocol; comes back when it was done
ask_emulator() {
    local line
    printf '{"execute": "%s", "arguments": %s}\n' "$1" "$2" >&"$to_emulator"
    while read -r -t "$vm_limit" -u "$from_emulator" line; do
        case $line in
        *'"error"'*)
            failed "the emulator does $1" "$line"
            return
            ;;
        *'"return"'*) return ;;
        esac
    done
}

# Takes in facts until the machine stops at a `moment`; fails at its end.
await_moment() {
    local name value deadline=$((SECONDS + vm_limit))
    while read -r -t $((deadline > SECONDS ? deadline - SECONDS : 1)) -u "$serial" name value; do
        value=${value%$'\r'}
        case $name in
        @@stopped)
            moment=$value
            return
            ;;
        @@*) remember "${name#@@}" "$value" ;;
        esac
        if [[ $name == @@end ]]; then return 1; fi
    done
    return 1
}

# boot_after MOMENT DISK FORMAT: boots what the disk was, and leaves what was reported in a file
boot_after() {
    local seen=no
    vm_logs=$work/cuts/$1 vm_format=$3 vm_processors=1
    # A layer holds what was written since the moment before.
    if LC_ALL=C grep -qaF "${first_conf%?}" "$2"; then seen=yes; fi
    restart_vm "$2"
    await_vm end
    end_vm
    remember cut.plaintext "$seen"
    declare -p fact | sed '1s/^declare -A //' >"$vm_logs/facts"
}

# after_power_cut NAME STEP [changed]: all is as it would be had nothing happened
after_power_cut() {
    local step=$2 one=$first two=$second three=$third conf=$first_conf link=var/lib/app/three
    if [[ ${3-} == changed || $step == changed ]]; then
        one=$second two=$sibling conf=$second_conf link=var/lib/app/deeper/three
    fi
    is "$1: no unit failed" "$step.failed" ''
    is "$1: all is active" "$step.states" 'active active'
    is "$1: there are the secrets and nothing else" "$step.files" 'one rendered/app.conf three two'
    is "$1: they have their bytes, owners and modes" "$step.file.one" "$(of_root "$one")"
    is "$1: and the second" "$step.file.two" "$(of_root "$two")"
    is "$1: and the third" "$step.file.three" "$(of_root "$three")"
    is "$1: and the template" "$step.file.rendered/app.conf" "$(of_root "$conf")"
    is "$1: the service found its secret" "$step.reader" "$(digest "$one")"
    is "$1: the links are there and nothing else" "$step.links" \
        "etc/app/app.conf=/run/secrets/rendered/app.conf etc/app/one=/run/secrets/one etc/app/two= $link=/run/secrets/three"
    is "$1: the copy has its bytes, owner and mode" "$step.copy" "$(of_root "$two")"
    is "$1: what outlives a boot is listed, and nothing else" "$step.listed" "$(printf '"/%s" ' etc/app/{app.conf,one,two} \
        run/secrets/{one,rendered/app.conf,three} "$link" | sed 's/ $//')"
    is "$1: there are the lists and nothing else" "$step.lists" 'made-by-run-secrets.d run-secrets.d.json'
    is "$1: there is a whole key, for root alone" "$step.key" '600 root:root 1 AGE-SECRET-KEY-1'
    is "$1: nothing is beside it" "$step.beside-key" "it's a key.txt"
    is "$1: nothing half made is left" "$step.left" ''
}

# What was there before the machine came up again, where that tells that the power was cut when it is said to have been.
left_by_power_cut() {
    is "$1: no plaintext had reached the disk" cut.plaintext no
    case $1 in
    key-directory-made) is "$1: it had no key" early.key absent ;;
    # What was not synchronised may be there or not.
    key-file-made) is "$1: it had no key, and an empty one under another name" early.key 'absent, new: 0' ;;
    key-half-written | key-written) is "$1: it had no key, and something under another name" early.key 'absent, new: *' ;;
    key-synchronised) is "$1: it had no key, and a whole one under another name" early.key 'absent, new: 1*' ;;
    key-renamed) is "$1: it had a whole key, and keeps it" early.key "${fact[boot.key-file]-}" ;;
    link-half-made) is "$1: it had half a link" early.left '/etc/app/.one.sops-activate*' ;;
    list-half-written) is "$1: it had half a list" early.left '/var/lib/sops-activate/.run-secrets.d.json.sops-activate*' ;;
    esac
}

readonly first='first value' second='second value' sibling='sibling value' third=$'third\nvalue\n'
readonly first_conf=$'one = first value\n' second_conf=$'one = second value\n'

# of_root TEXT: what `describe` says of a file of root's with this text
of_root() { printf '400 root:root %s %s' "${#1}" "$(digest "$1")"; }

make_power_cuts() {
    container=$work/power-cuts container_options=()
    new_root "$container"
    install -m 0644 -- "$repository/tests/compat/files/values.yaml" "$container/nix/store/HASH-values.yaml"
    install -D -m 0600 -- "$fixtures/keys/host_ed25519" "$container/etc/ssh/ssh_host_ed25519_key"
    "$here/install-system" "$golden/$power_cuts" "$container"
    other_system "$container" "$golden/$power_cuts" changed "$changed_by_cut"
    # Time is short here, and nothing waits.
    rm -rf -- "$container"/{,systems/changed/}etc/systemd/system/sops-install-secrets*.service.d/hold.conf
    chroot "$container" systemctl --quiet enable userborn early play
    printf 'cuts\n' >"$container/etc/boot-test/plan"
    make_image "$container" "$work/cuts.img"
}
