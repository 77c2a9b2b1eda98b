# The device's part of an update: POSIX sh, and what coreutils, busybox and toybox have alike. No Python, no root.
#
# Usage: sh -c SCRIPT edgekit VERB HOME NAME ID [ARGUMENTS]
#
#   HOME/artifacts/NAME/versions/ID/   what was pushed, whole and verified, with its `.recipe` (see recipe.py)
#   HOME/artifacts/NAME/current        a link to the version in use
#   HOME/artifacts/NAME/history        the versions that were in use, oldest first
#   HOME/artifacts/NAME/incoming/ID/   what has come so far of a version: spool, plan of the spool, recipe
#
# Answers are lines on standard output. What goes wrong is on standard error, and the exit code is 1; it is 3 when
# bytes are not what they should be.

set -u
LC_ALL=C
export LC_ALL
umask 022

verb=$1 home=$2 name=$3 id=$4
shift 4
base=$home/artifacts/$name
incoming=$base/incoming/$id
version=$base/versions/$id

# SHA-256 and name of each file. OpenSSL uses the CPU's own instructions where it has them; sha256sum does not.
hashes() {
    if command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r "$@"; else sha256sum -- "$@"; fi
}

# The path of every file below a folder, but of hidden ones such as the recipe; find(1) is not everywhere.
files() {
    for one in "$1"/*; do
        if [ -d "$one" ]; then files "$one"; elif [ -f "$one" ]; then printf '%s\n' "$one"; fi
    done
}

# Call a function with every file below a folder, in the order of their paths from there.
with_files() {
    (
        cd "$2" || exit 1
        paths=$(files . | sort)
        IFS='
'
        set -f
        # shellcheck disable=SC2086 # a path is a line, and no pattern
        "$1" $paths
    )
}

# SHA-256 and path of every file below a folder.
hash_all() {
    with_files hashes "$1" | while read -r hash path; do printf '%s\n' "$hash ${path#*./}"; done
}

# The size of a file; 0 when there is none.
size() {
    if [ -f "$1" ]; then wc -c <"$1"; else echo 0; fi
}

# Make a file end after so many bytes: dd cuts what it writes to at the place that it seeks to.
cut_file() {
    dd if=/dev/null of="$1" bs=1 seek="$2" 2>/dev/null
}

# Wait until files are on the disk; older tools only know how to wait for all of them.
flush() {
    sync "$@" 2>/dev/null || sync
}

# What there is of an artifact: free space, versions, and of the version ID its hashes; when it is not there, or is to
# be sent `anew`, what a push can build on.
look() {
    mkdir -p "$base" || exit 1
    df -Pk "$base" | { read -r _ && read -r _ _ _ free _ && echo "free $free"; }
    if command -v gzip >/dev/null 2>&1; then echo 'gzip'; fi
    versions
    if [ -d "$version" ] && [ "${1:-}" != anew ]; then
        hash_all "$version" | sed 's/^/sha /'
        return
    fi
    echo "spool $(size "$incoming/spool")"
    if [ -f "$incoming/plan" ]; then cat "$incoming/plan"; fi
    ls -1t "$base/versions" 2>/dev/null | head -n 3 | while read -r one; do
        if [ "$one" != "$id" ] && [ -f "$base/versions/$one/.recipe" ]; then echo "recipe $one" && cat "$base/versions/$one/.recipe"; fi
    done
}

# The versions of an artifact, newest first: when each came, and its size in KiB.
versions() {
    if [ -L "$base/current" ]; then place=$(readlink "$base/current") && echo "current ${place##*/}"; fi
    ls -1t "$base/versions" 2>/dev/null | while read -r one; do
        set -- $(du -sk "$base/versions/$one")
        echo "version $one $(date -r "$base/versions/$one" +%s) $1"
    done
    if [ -f "$base/history" ]; then sed 's/^/history /' "$base/history"; fi
}

# Every artifact with its versions.
every() {
    for base in "$home"/artifacts/*; do
        if [ -d "$base/versions" ]; then echo "artifact ${base##*/}" && versions; fi
    done
}

# Add the input to the spool: RECIPE bytes of recipe, PLAN bytes of the new plan, then what goes into the spool after its
# first KEPT bytes, packed when a word more says so. dd reads no byte more than it is asked for, even from a pipe.
receive() {
    mkdir -p "$incoming" || exit 1
    dd bs="$2" count=1 iflag=fullblock status=none >"$incoming/recipe" || exit 1
    dd bs="$3" count=1 iflag=fullblock status=none >"$incoming/plan.new" || exit 1
    [ "$(size "$incoming/plan.new")" -eq "$3" ] || { echo 'cut before the first chunk' >&2 && exit 1; }
    if [ -f "$incoming/spool" ]; then cut_file "$incoming/spool" "$1" || exit 1; fi
    mv -f "$incoming/plan.new" "$incoming/plan" || exit 1
    if [ "${4:-}" = gzip ]; then gzip -dc >>"$incoming/spool"; else cat >>"$incoming/spool"; fi
}

# Do the steps of the input, one a line. To build a version from the spool and from others:
#   file NAME                 from here on that file is written
#   copy OFFSET LENGTH PATH   with these bytes of a file below NAME
#   take LENGTH               with the beginning of the spool, which is used up by it
#   sum SHA256 NAME           the hash that a file must have
#   publish                   verify, and put the version in its place
# To switch between versions:
#   history ID                a line of the new history
#   remember                  let the new history take the old one's place
#   use                       let `current` point to the version
#   drop ID                   take a version away; never the one in use
apply() {
    mkdir -p "$incoming" && rm -rf "$incoming/files" "$incoming/sums" && cat >"$incoming/steps" || exit 1
    rm -f "$base/history.new"
    while read -r step rest; do
        case $step in
            file) out=$incoming/files/$rest && mkdir -p "${out%/*}" && : >"$out" ;;
            copy) copy "${rest%% *}" "${rest#* }" >>"$out" ;;
            take) cut_file "$incoming/spool" "$rest" && mv -f "$incoming/spool" "$out" ;;
            sum) printf '%s\n' "$rest" >>"$incoming/sums" ;;
            publish) publish ;;
            history) echo "$rest" >>"$base/history.new" ;;
            remember) mv -f "$base/history.new" "$base/history" ;;
            use) use ;;
            drop) drop "$rest" ;;
        esac || exit 1
    done <"$incoming/steps"
    rm -rf "$base/incoming"
}

# OFFSET, and in one word LENGTH and PATH, as the step has them.
copy() {
    dd if="$base/${2#* }" bs=65536 iflag=skip_bytes,count_bytes skip="$1" count="${2%% *}" status=none
}

publish() {
    hash_all "$incoming/files" >"$incoming/found"
    if [ "$(cat "$incoming/sums")" != "$(cat "$incoming/found")" ]; then
        rm -rf "$incoming"
        echo 'the SHA-256 of what arrived is not what was sent' >&2
        exit 3
    fi
    mv -f "$incoming/recipe" "$incoming/files/.recipe" && flush "$incoming/files/.recipe" || exit 1
    with_files flush "$incoming/files" && mkdir -p "$base/versions" || exit 1
    if [ -d "$version" ]; then mv "$version" "$incoming/damaged" || exit 1; fi
    mv "$incoming/files" "$version"
}

use() {
    [ -d "$version" ] || { echo "there is no version $id" >&2 && exit 1; }
    ln -sfn "versions/$id" "$base/current.new" && mv -Tf "$base/current.new" "$base/current" && flush "$base"
}

drop() {
    [ "$(readlink "$base/current")" = "versions/$1" ] || rm -rf "$base/versions/$1"
}

case $verb in
    look) look "$@" ;;
    versions) versions ;;
    every) every ;;
    receive) receive "$@" ;;
    apply) apply ;;
    hashes) hashes "$@" ;;
    *) echo "unknown verb $verb" >&2 && exit 1 ;;
esac
