# Runs on the board in place of its shell while edgekit has the console. POSIX sh, with base64, cksum and mkfifo.
#
# It reads lines `EK number checksum script size`, and after it data of that size; script and data are in base64. It runs
# the script, and answers with `ek number status checksum output ke`. The checksum is cksum's, of script, a space and
# data as they are written; in the answer of the output. A line whose number was
# the last one's is answered again and not done again: whoever did not understand an answer asks once more.
# Whatever else comes over the line, the kernel's messages too, is passed over.

cleanup() {
    trap '' INT HUP TERM
    for job in "$D"/*.pid; do
        [ -e "$job" ] && ek_kill "$(basename "$job" .pid)"
    done 2>/dev/null
    rm -rf "$D"
    stty "$T" 2>/dev/null
}

# A job: its number, `fed` when it reads what is fed to it, and the words of a program.
ek_start() {
    n=$D/$1 fed=$2
    shift 2
    from=/dev/null
    if [ "$fed" = fed ]; then
        from=$n.in
        mkfifo "$from" || return 1
        sleep 604800 >"$from" </dev/null 2>/dev/null &
        echo $! >"$n.hold"
    fi
    : >"$n.out"
    : >"$n.err"
    $X sh -c '
        n=$1; shift; echo $$ >"$n.pid"
        if command -v -- "$1" >/dev/null 2>&1; then "$@"; else echo "edgekit: no such program" >&2; (exit 127); fi
        echo $? >"$n.ended"; mv "$n.ended" "$n.rc"
    ' sh "$n" "$@" <"$from" >"$n.out" 2>"$n.err" &
}

# What a job said since: `status fed bytes-of-output bytes-of-errors`, then those bytes.
ek_poll() {
    rc=-
    [ -e "$D/$1.rc" ] && rc=$(cat "$D/$1.rc")
    fed=-
    [ -e "$D/$1.fed" ] && fed=+
    : >"$D/lives"
    tail -c "+$(($2 + 1))" "$D/$1.out" | head -c "$4" >"$D/a"
    tail -c "+$(($3 + 1))" "$D/$1.err" | head -c "$4" >"$D/b"
    echo "$rc $fed $(wc -c <"$D/a") $(wc -c <"$D/b")"
    cat "$D/a" "$D/b"
}

# Give a job the line's data; `fed` appears when it has read them.
ek_feed() {
    rm -f "$D/$1.fed"
    cp "$D/d" "$D/$1.chunk"
    { cat "$D/$1.chunk" >"$D/$1.in"; : >"$D/$1.fed"; } </dev/null >/dev/null 2>&1 &
    echo $! >"$D/$1.cat"
}

# No more data for a job.
ek_end() {
    kill "$(cat "$D/$1.hold")"
}

ek_kill() {
    for kept in hold cat; do
        [ -e "$D/$1.$kept" ] && kill -KILL "$(cat "$D/$1.$kept")"
    done
    if [ -e "$D/$1.pid" ]; then
        kill -KILL "-$(cat "$D/$1.pid")" || kill -KILL "$(cat "$D/$1.pid")"
    fi
    rm -f "$D/$1".*
} 2>/dev/null

D=$(mktemp -d) || exit 1
X=$(command -v setsid || :)
: >"$D/r"
trap 'cleanup; exit 0' INT HUP TERM EXIT

# Jobs end when nobody has asked for them in a minute: the line was cut, or the computer at its end is gone.
(
    trap 'kill $! 2>/dev/null; exit' TERM
    while sleep 60 & wait $!; do
        [ -d "$D" ] || exit
        [ -e "$D/lives" ] || for job in "$D"/*.pid; do
            [ -e "$job" ] && ek_kill "$(basename "$job" .pid)"
        done
        rm -f "$D/lives"
    done
) </dev/null >/dev/null 2>&1 &
watch=$!

last=
status=0
echo "ek ready ke"
while read -r mark number sum script size; do
    [ "$mark" = EK ] || continue
    case $size in '' | *[!0-9]*) continue ;; esac
    head -c "$size" >"$D/l"
    if [ "$number" != "$last" ]; then
        set -- $({ printf '%s ' "$script"; cat "$D/l"; } | cksum)
        if [ "$1" != "$sum" ]; then
            printf '\nek %s bad ke\n' "$number"
            continue
        fi
        [ "$script" = QUIT ] && break
        base64 -d <"$D/l" >"$D/d"
        printf %s "$script" | base64 -d >"$D/c"
        (. "$D/c") </dev/null >"$D/o" 2>&1
        status=$?
        base64 <"$D/o" | tr -d '\n' >"$D/r"
        last=$number
    fi
    set -- $(cksum <"$D/r")
    printf '\nek %s %s %s ' "$number" "$status" "$1"
    cat "$D/r"
    printf ' ke\n'
done
kill "$watch" 2>/dev/null
