# Puts the working tree away as a commit, of which it prints a pack. Run inside the sandbox by
# bash, with: base, the last checkpoint (or -), and what that held (tree and parent, or -).
#
# Prints lines (`head`, `left`, `more`, and `same` or `state` and `commit`), an empty one, then the
# pack. Index and objects are of its own, so that neither the agent's staging nor its repository
# is touched; the index is kept, so that the next time only what changed is read.
base=$1 last=$2 held=$3
file_limit=$4 total_limit=$5 count_limit=$6

git() {
    command git --no-optional-locks -c core.fsmonitor=false -c core.hooksPath=/dev/null \
        -c core.untrackedCache=false -c core.splitIndex=false -c gc.auto=0 -c maintenance.auto=false \
        -c core.safecrlf=false -c core.bigFileThreshold=8m "$@"
}

renice -n 10 $$ >/dev/null 2>&1
top=$(git rev-parse --show-toplevel) && dir=$(git rev-parse --absolute-git-dir) && cd "$top" || exit 1
own=$dir/quire-checkpoint
mkdir -p "$own/objects/info" || exit 1
printf '../../objects\n' > "$own/objects/info/alternates" || exit 1
# One that was killed may have left a lock; there is never a second one.
rm -f "$own/index.lock"
[ -s "$own/index" ] || cp "$dir/index" "$own/index" 2>/dev/null || rm -f "$own/index"
head=$(git rev-parse --verify -q 'HEAD^{commit}') || head=$base
export GIT_INDEX_FILE=$own/index GIT_OBJECT_DIRECTORY=$own/objects

present=() nested=() gone=() left=() more=0
leave() {
    if [ ${#left[@]} -lt 20 ]; then left+=("$1"); else more=$((more + 1)); fi
}
sort_out() {
    local path
    for path; do
        if [[ -L $path || ( -f $path && -r $path ) ]]; then present+=("$path")
        elif [[ $path == */ ]]; then nested+=("$path")
        elif [[ -d $path ]]; then :
        elif [[ -e $path ]]; then leave "$path"
        else gone+=("$path"); fi
    done
}
mapfile -d '' -t -n "$count_limit" paths < <(git ls-files -z -m)
sort_out "${paths[@]}"
mapfile -d '' -t -n "$count_limit" paths < <(git ls-files -z -o --exclude-standard)
[ ${#paths[@]} -lt "$count_limit" ] || leave "(untracked files beyond the first $count_limit)"
sort_out "${paths[@]}"
# Repositories inside the working tree: their files, without their history.
for repository in "${nested[@]}"; do
    mapfile -d '' -t -n "$count_limit" paths < <(
        unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY
        git -C "./$repository" ls-files -z -c -o --exclude-standard
    )
    for path in "${paths[@]}"; do
        if [[ $path == */ ]]; then leave "$repository$path"
        elif [[ -L $repository$path || ( -f $repository$path && -r $repository$path ) ]]; then
            present+=("$repository$path")
        fi
    done
done

sizes=()
[ ${#present[@]} = 0 ] || mapfile -t sizes < <(printf '%s\0' "${present[@]}" | xargs -0 stat -c %s --)
# What went meanwhile is looked at the next time.
[ ${#sizes[@]} = ${#present[@]} ] || exit 1
total=0 taken=()
for at in "${!present[@]}"; do
    size=${sizes[at]}
    if ((size > file_limit || total + size > total_limit || ${#taken[@]} >= count_limit)); then
        leave "${present[at]}"
    else
        total=$((total + size))
        taken+=("${present[at]}")
    fi
done
taken+=("${gone[@]}")
if [ ${#taken[@]} != 0 ]; then
    printf '%s\0' "${taken[@]}" | git update-index --add --remove --replace -z --stdin || exit 1
fi
tree=$(git write-tree --missing-ok) || exit 1

printf 'head %s\n' "$head"
for path in "${left[@]}"; do printf 'left %s\n' "${path//[$'\n'$'\r']/?}"; done
printf 'more %s\n' "$more"
[ "$held" != - ] || held="$(git rev-parse --verify -q "$base^{tree}") $base"
if [ "$tree $head" = "$held" ]; then
    printf 'same\n\n'
    exit 0
fi
commit=$(GIT_AUTHOR_NAME=Quire GIT_AUTHOR_EMAIL=quire@localhost GIT_COMMITTER_NAME=Quire \
    GIT_COMMITTER_EMAIL=quire@localhost git commit-tree -p "$head" \
    -m 'The working tree as it stood' "$tree" </dev/null) || exit 1
printf 'state %s %s\ncommit %s\n\n' "$tree" "$head" "$commit"
{
    printf '%s\n^%s\n' "$commit" "$base"
    if [ "$last" != - ] && git cat-file -e "$last^{commit}" 2>/dev/null; then printf '^%s\n' "$last"; fi
} | git -c pack.compression=1 -c pack.threads=1 -c uploadpack.packObjectsHook= \
    pack-objects --revs --thin --stdout --delta-base-offset -q
