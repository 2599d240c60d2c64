# shellcheck shell=bash
# To be sourced by `run`: what a configuration orders before the installer, booted with the units of this module and with those of
# sops-nix's, and with our program in both. The configurations are those named order-… and home-order-… in tests/nix.
# docs/reference/boot-order.md has the table.
#
#   tests/boot/run --only orders [PROGRAM]     these boots alone
#
# SOPS_NIX, a checkout of github.com/Mic92/sops-nix at 56b2406, has its units booted again as well; without it, what came of them is read
# from orders-of-sops-nix.tsv. ORDERS=kind… boots these kinds only. ORDERS_WRITE=1 writes that file and the table anew.
# shellcheck disable=SC2034,SC2154

readonly orders=$work/orders recorded=$here/orders-of-sops-nix.tsv
# Kinds that add nothing that has to be late: with these, secrets come before sysinit.target.
readonly early_kinds=' nothing early advice-early before-local-fs exec-start-pre pre-start post-start path late-key late-sops-file late-environment late-link users-early '
# Kinds that are booted with every way to make users, and with the newer systemd.
readonly mode_kinds='nothing wanted-by requires socket transitive late-key users users-early users-late-key unknown unknown-for-users'
# So many boots of a unit that the evaluation cannot see: systemd goes by a hash when it chooses which job to delete.
readonly unknown_boots=5

orders() {
    local side sides=(ours)
    title 'what comes before the installer'
    # An earlier run may have been stopped in the middle.
    { grep -o " $orders/boots/[^ ]*" /proc/mounts || true; } | { xargs --no-run-if-empty umount || true; }
    rm -rf --one-file-system -- "$orders"
    mkdir -p -- "$orders/rows"
    "$repository/tests/nix/orders/evaluate" "$orders/ours" "$repository/nix/nixos" "$repository/nix/home-manager"
    if [[ -n ${SOPS_NIX-} ]]; then
        "$repository/tests/nix/orders/evaluate" "$orders/sops-nix" "$SOPS_NIX/modules/sops" "$SOPS_NIX/modules/home-manager/sops.nix"
        sides+=(sops-nix)
    fi
    make_order_root "$debian" "$orders/root"
    make_order_root "$newer" "$orders/newer"
    wanted=$(digest 'first value')
    for side in "${sides[@]}"; do order_boots "$side"; done
    wait
    for side in "${sides[@]}"; do
        check "$side: every configuration evaluates" "$(find "$orders/$side" -name '*.stderr' -printf '%P ')" ''
        cat -- "$orders/rows/$side"/* | sort >"$orders/$side.tsv"
    done
    if [[ -z ${SOPS_NIX-} ]]; then
        cp -- "$recorded" "$orders/sops-nix.tsv"
    elif [[ -n ${ORDERS_WRITE-} ]]; then
        cp -- "$orders/sops-nix.tsv" "$recorded"
    fi
    judge_orders
    if [[ -z ${ORDERS-} ]]; then
        order_vm wanted-by wanted-by
        order_vm unknown unknown-before
    fi
    if [[ -n ${ORDERS_WRITE-} ]]; then write_order_table; fi
}

# make_order_root DEBIAN DIRECTORY
make_order_root() {
    local root=$2 package
    cp -a --reflink=auto -- "$1/root" "$root"
    cp -r -- "$here/guest-orders/." "$root"
    rm -r -- "$root/unknown"
    cp -- "$here/guest/usr/lib/boot-test/facts" "$here/guest-example/usr/lib/boot-test/switch" "$root/usr/lib/boot-test/"
    cp -- "$here/guest-example/etc/systemd/system/sysinit-reactivation.target" "$root/etc/systemd/system/"
    mkdir -p -- "$root"/etc/boot-test "$root"/var/log/journal "$root"/nix/store/HASH-sops-activate/bin "$root"/boot-test/disk "$root"/{keys,persist}
    install -m 0755 -- "$program" "$root/nix/store/HASH-sops-activate/bin/sops-install-secrets"
    for package in age coreutils systemd; do ln -s -- /usr "$root/nix/store/HASH-$package"; done
    install -m 0644 -- "$repository/tests/compat/files/values.yaml" "$root/nix/store/HASH-values.yaml"
    install -m 0644 -- "$repository/nix/check-secrets.sh" "$root/nix/store/HASH-check-secrets.sh"
    install -m 0600 -- "$repository/tests/compat/files/values.yaml" "$fixtures/keys/age.txt" "$root/boot-test/disk/"
    install -m 0600 -- "$fixtures/keys/age.txt" "$root/boot-test/age.txt"
    install -m 0644 -- "$fixtures/keys/age.txt" "$root/boot-test/user.txt"
    ln -s /persist/age.txt "$root/boot-test/link-to-age.txt"
    systemctl --root="$root" --quiet enable report consumer
    printf '5c9cf6b4d7c947f3b1b0a1cd12b7a5f6\n' >"$root/etc/machine-id"
}

# order_boots SIDE: two at a time
order_boots() {
    local evaluated mode kind number
    mkdir -p -- "$orders/rows/$1"
    for evaluated in "$orders/$1"/{unit,userborn,sysusers}/*.json; do
        mode=${evaluated%/*}
        mode=${mode##*/}
        kind=${evaluated##*/}
        kind=${kind%.json}
        # Where users are made by an activation script, secrets for them come from another.
        [[ $mode != unit || $kind != *users* ]] || continue
        # What users are made by matters to these; the others would show the same again.
        [[ $mode == unit || " $mode_kinds " == *" $kind "* ]] || continue
        [[ -z ${ORDERS-} || " $ORDERS " == *" $kind "* ]] || continue
        case $kind in
        unknown | unknown-for-users)
            # With the units of sops-nix there is no cycle.
            for number in $(seq "$([[ $1 == ours ]] && echo "$unknown_boots" || echo 1)"); do
                order_job "$1" "$mode" "$evaluated" "$orders/root" "$kind-before" "$number"
                order_job "$1" "$mode" "$evaluated" "$orders/root" "$kind-wants" "$number"
            done
            ;;
        *)
            order_job "$1" "$mode" "$evaluated" "$orders/root" "$kind" 1
            [[ $mode != unit || $1 != ours || " $mode_kinds " != *" $kind "* ]] || order_job "$1" unit-newer "$evaluated" "$orders/newer" "$kind" 1
            ;;
        esac
    done
    [[ -n ${ORDERS-} && " $ORDERS " != *" home "* ]] || order_job "$1" home-manager "$orders/$1/home" "$orders/newer" home 1
}

order_job() {
    (($(jobs -rp | wc -l) < 2)) || wait -n
    order_boot "$@" &
}

# order_boot SIDE MODE GOLDEN ROOT KIND NUMBER: a boot, and a row (of home-manager a row for each user) of what came of it
order_boot() {
    local name=$1-$2-$5-$6
    local boot=$orders/boots/$name row=$orders/rows/$1/$2-$5-$6 status=0
    local tree=$boot/tree
    mkdir -p -- "$boot"/{upper,work,tree,result}
    enter_cgroup "$name"
    mount -t overlay overlay -o "lowerdir=$4,upperdir=$boot/upper,workdir=$boot/work" "$tree"
    case $2 in
    home-manager) install_order_users "$3" ;;
    *)
        "$here/install-system" "$3" "$tree"
        case $5 in unknown-*) cp -a -- "$here/guest-orders/unknown/${5#unknown-}/." "$tree/etc/systemd/system/" ;; esac
        ;;
    esac
    case $2 in
    userborn)
        sed 's,^ExecStart=.*,ExecStart=/usr/bin/true,' "$here/guest-example/etc/systemd/system/userborn.service" >"$tree/etc/systemd/system/userborn.service"
        chroot "$tree" systemctl --quiet enable userborn
        ;;
    sysusers)
        mkdir -p -- "$tree/etc/systemd/system/systemd-sysusers.service.d"
        printf '[Unit]\nConditionNeedsUpdate=\nBefore=sysinit-reactivation.target\n' >"$tree/etc/systemd/system/systemd-sysusers.service.d/nixos.conf"
        ;;
    esac
    timeout --kill-after=5 "$container_limit" systemd-nspawn --quiet --register=no --keep-unit --console=read-only --link-journal=no \
        --private-network --bind="$boot/result:/result" --machine="$name" --directory="$tree" --boot \
        -- --log-target=console --log-color=no \
        </dev/null >"$boot/container.log" 2>&1 || status=$?
    umount -- "$tree"
    leave_cgroup "$name"
    fact=()
    if [[ -e $boot/result/facts ]]; then read_facts <"$boot/result/facts"; fi
    case $2 in
    home-manager) while IFS=: read -r user _ uid _; do user_row "$3"; done <"$boot/upper/etc/boot-test/users" ;;
    *) order_row "$@" ;;
    esac >"$row"
}

# enter_cgroup NAME: two containers in one control group would end each other's services
enter_cgroup() {
    local root
    for root in /sys/fs/cgroup{,/systemd,/unified}; do
        if [[ -e $root/cgroup.procs ]]; then
            mkdir -p -- "$root/boot-test-$1"
            printf '%s\n' "$BASHPID" >"$root/boot-test-$1/cgroup.procs"
        fi
    done
}

leave_cgroup() {
    local root
    for root in /sys/fs/cgroup{,/systemd,/unified}; do
        if [[ -e $root/boot-test-$1 ]]; then
            printf '%s\n' "$BASHPID" >"$root/cgroup.procs"
            find "$root/boot-test-$1" -depth -type d -exec rmdir -- {} + 2>/dev/null || true
        fi
    done
}

# order_vm CONFIGURATION KIND: in a virtual machine, with a kernel of its own
order_vm() {
    local tree=$orders/vm
    title "a virtual machine: $2"
    rm -rf --one-file-system -- "$tree"
    cp -a --reflink=auto -- "$orders/root" "$tree"
    "$here/install-system" "$orders/ours/unit/$1.json" "$tree"
    case $2 in unknown-*) cp -a -- "$here/guest-orders/unknown/${2#unknown-}/." "$tree/etc/systemd/system/" ;; esac
    make_image "$tree" "$work/order.img"
    restart_vm "$work/order.img"
    await_vm end
    end_vm
    is "$2, virtual machine: the secret is installed" secret "$wanted"
    is "$2, virtual machine: no failed unit" failed ''
    # In a container the journal has nothing of what systemd says first.
    case $2 in unknown-*) is "$2, virtual machine: the command in the warning shows the cycle" hint '[1-9]*' ;; esac
}

# What systemd says of cycles, in the journal of a boot and of its shutdown: the jobs that it deleted.
deleted() {
    { journalctl --directory="$boot/upper/var/log/journal" --quiet --output=cat "$@" | cat - "$boot/container.log"; } |
        sed -n -E 's/.*Job ([^ ]*) deleted to break ordering cycle.*/\1/p; s/.*(Found ordering cycle).*/cycle/p' | sort -u |
        { grep -v '^cycle$' || true; } | paste -s -d ' '
}

# KIND MODE OUTCOME DELETED FAILED WARNINGS
order_row() {
    local outcome installed=0 sysinit=0 user_secret=''
    read -r installed sysinit <<<"${fact[moments]-0 0}" || true
    case $5 in *users*) if [[ ${fact[for-users]-} != "$(digest 'second value')" ]]; then user_secret=', none for users'; fi ;; esac
    if [[ -z ${fact[end]+ended} ]]; then
        outcome='did not come up'
    elif [[ ${fact[secret]-} != "$wanted" ]]; then
        outcome='not installed'
    elif ((0 < installed && installed <= sysinit)); then
        outcome='before sysinit.target'
    elif [[ ${fact[consumer]-} == "$wanted" ]]; then
        outcome='before the service'
    else
        outcome='after the service'
    fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$5" "$2" "$outcome$user_secret" "$(deleted)" "${fact[failed]-}" "$(jq '.warnings | length' "$3")"
}

# user_row DIRECTORY: of the user $user
user_row() {
    local outcome installed=0 basic=0 kind=${user#u-}
    read -r installed basic <<<"${fact[$user.moments]-0 0}" || true
    if [[ -z ${fact[end]+ended} ]]; then
        outcome='did not come up'
    elif [[ ${fact[$user.secret]-} != "$wanted" ]]; then
        outcome='not installed'
    elif ((0 < installed && installed <= basic)); then
        outcome='before basic.target'
    elif [[ ${fact[$user.consumer]-} == "$wanted" ]]; then
        outcome='before the service'
    else
        outcome='after the service'
    fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$kind" home-manager "$outcome" "$(deleted "_UID=$uid")" "${fact[$user.failed]-}" \
        "$(jq '.warnings | length' "$1/$kind.json")"
}

# install_order_users DIRECTORY: a user for each configuration of home-manager, in $tree
install_order_users() {
    local evaluated user system manifest script unit units target uid=1000 store=$tree/nix/store
    mkdir -p -- "$tree/var/lib/systemd/linger" "$tree/etc/systemd/user/default.target.wants"
    printf '%s\n' '[Service]' Type=oneshot RemainAfterExit=yes \
        "ExecStart=/bin/sh -c 'sha256sum <\$\$HOME/.config/sops-nix/secrets/one | cut -d \" \" -f 1 >\$\$XDG_RUNTIME_DIR/consumer || true'" \
        >"$tree/etc/systemd/user/consumer.service"
    ln -s ../consumer.service "$tree/etc/systemd/user/default.target.wants/"
    for evaluated in "$1"/*.json; do
        user=${evaluated##*/}
        user=u-${user%.json}
        uid=$((uid + 1))
        chroot "$tree" useradd --create-home --user-group --uid "$uid" "$user"
        : >"$tree/var/lib/systemd/linger/$user"
        units=$tree/home/$user/.config/systemd/user
        mkdir -p -- "$units"
        system=$(jq --arg user "$user" 'walk(if type == "string" then gsub("alice"; $user) else . end)' "$evaluated")
        manifest=/nix/store/$user-manifest.json script=/nix/store/$user-sops-nix-user
        jq .manifest.content <<<"$system" >"$tree$manifest"
        printf '#!/bin/bash\n' >"$tree$script"
        jq -r '.script[]' <<<"$system" | sed "s#/nix/store/HASH-manifest.json#$manifest#" >>"$tree$script"
        chmod +x "$tree$script"
        jq -r '.userUnits | keys[]' <<<"$system" | while read -r unit; do
            jq -r --arg unit "$unit" '.userUnits[$unit] | to_entries[] | "[\(.key)]", (.value | to_entries[] | .key as $key | .value
                | if type == "array" then .[] else . end | "\($key)=\(.)")' <<<"$system" |
                sed "s#/nix/store/HASH-sops-nix-user#$script#" >"$units/$unit"
            jq -r --arg unit "$unit" '.userUnits[$unit].Install.WantedBy // [] | if type == "array" then .[] else . end' <<<"$system" |
                while read -r target; do
                    mkdir -p -- "$units/$target.wants"
                    ln -sfn -- "../$unit" "$units/$target.wants/$unit"
                done
        done
        if [[ $user == u-unknown ]]; then
            printf '%s\n' '[Unit]' Before=sops-nix.service '[Service]' Type=oneshot RemainAfterExit=yes \
                "ExecStart=/usr/bin/install -D -m 0600 /boot-test/user.txt /home/$user/fetched/key.txt" >"$units/secrets-unlock.service"
            mkdir -p -- "$units/default.target.wants"
            ln -s ../secrets-unlock.service "$units/default.target.wants/"
        fi
        chroot "$tree" chown -R "$user:$user" "/home/$user"
        grep "^$user:" "$tree/etc/passwd" >>"$tree/etc/boot-test/users"
    done
}

# judge_orders: ours is never worse than sops-nix's
judge_orders() {
    local kind mode outcome deleted units warnings theirs_outcome theirs_failed theirs_deleted name
    while IFS=$'\x1f' read -r kind mode outcome deleted units warnings; do
        name="$kind, $mode"
        # The worst of several boots of theirs says nothing: their best is what is wanted of each of ours.
        IFS=$'\x1f' read -r theirs_outcome theirs_failed theirs_deleted < <(
            tr '\t' '\037' <"$orders/sops-nix.tsv" | awk -F $'\x1f' -v kind="$kind" -v mode="${mode%-newer}" '
                function rank(outcome) {
                    return outcome ~ /none for users/ ? 1 : outcome ~ /^before (sysinit|basic)/ ? 4 : outcome ~ /^before the/ ? 3 : outcome ~ /^after/ ? 2 : outcome ~ /^not/ ? 1 : 0
                }
                $1 == kind && $2 == mode && rank($3) >= best { best = rank($3); found = $3 "\x1f" $5 "\x1f" $4 } END { print found }'
        ) || true
        case $theirs_outcome in
        '') failed "$name: it is known what sops-nix makes of it" "not in ${recorded##*/}" ;;
        'not installed' | *'none for users')
            check "$name: the machine comes up, as with sops-nix" "$outcome" '!(did not come up)'
            ;;
        *) check "$name: installed, as with sops-nix ($theirs_outcome)" "$outcome" '@(before|after) @(sysinit.target|basic.target|the service)' ;;
        esac
        if [[ $mode == home-manager ]]; then
            case $kind in nothing | exec-start-pre) check "$name: before basic.target" "$outcome" 'before basic.target' ;; esac
        elif [[ $early_kinds == *" $kind "* ]]; then
            check "$name: before sysinit.target" "$outcome" 'before sysinit.target'
        fi
        # A mount that needs a late unit is in a cycle with local-fs.target, with secrets or without.
        if [[ $kind != unknown* && -z $theirs_deleted ]]; then check "$name: no ordering cycle" "$deleted" ''; fi
        if [[ -z $theirs_failed && -n $theirs_outcome ]]; then check "$name: no failed unit, as with sops-nix" "$units" ''; fi
    done < <(tr '\t' '\037' <"$orders/ours.tsv")
}

# write_order_table: the table of docs/reference/boot-order.md, between its marks
write_order_table() {
    local page=$repository/docs/reference/boot-order.md kind mode described
    {
        sed '/^<!-- table -->$/q' "$page"
        printf '\n| what the configuration adds | | sops-nix | here | a job deleted here | warned at build |\n|---|---|---|---|---|---|\n'
        cut -f 1,2 "$orders/ours.tsv" | sort -u | while IFS=$'\t' read -r kind mode; do
            printf '| %s | %s | %s | %s | %s | %s |\n' "$(described_kind "$kind" "$mode")" "${mode/-newer/, systemd 257}" \
                "$(outcomes sops-nix "$kind" "${mode%-newer}" 3)" "$(outcomes ours "$kind" "$mode" 3)" "$(deletions "$kind" "$mode")" \
                "$(outcomes ours "$kind" "$mode" 6 | sed 's/^0$//; s/^[1-9].*/yes/')"
        done
        printf '\n'
        sed -n '/^<!-- end of the table -->$/,$p' "$page"
    } >"$orders/page.md"
    cp -- "$orders/page.md" "$page"
}

# outcomes SIDE KIND MODE COLUMN: what came of it, each once; of several boots with how often
outcomes() {
    awk -F '\t' -v kind="$2" -v mode="$3" -v column="$4" '$1 == kind && $2 == mode { print $column }' "$orders/$1.tsv" | sort | uniq -c |
        awk '{ count = $1; sub(/^ *[0-9]+ ?/, ""); text[NR] = $0; counts[NR] = count; all += count }
            END { for (i = 1; i <= NR; i++) printf "%s%s%s", (i > 1 ? "; " : ""), text[i], (NR > 1 ? " (" counts[i] " of " all ")" : "") }'
}

deletions() {
    awk -F '\t' -v kind="$1" -v mode="$2" '$1 == kind && $2 == mode && $4 != "" { n++ } $1 == kind && $2 == mode { all++ }
        END { if (n) print (all > 1 ? n " of " all : "yes") }' "$orders/ours.tsv"
}

# described_kind KIND MODE: the first sentence of its configuration
described_kind() {
    local configuration=$repository/tests/nix/configurations/order-$1.nix
    case $1,$2 in
    *,home-manager) configuration=${configuration/order-/home-order-} ;;
    unknown*) configuration=${configuration%-before.nix} configuration=${configuration%-wants.nix}.nix configuration=${configuration/.nix.nix/.nix} ;;
    esac
    sed -n '1s/^# //p' "$configuration" | sed 's/|/\\|/g' | tr -d '\n'
    # Markdown's quotes.
    # shellcheck disable=SC2016
    printf ' (`%s`)' "$1"
}
