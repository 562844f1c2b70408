# A repository with a history, packed by threads, cloned through a child's pipes, searched and checked: git.sh FOLDER
set -eu
rm -rf "$1"
mkdir "$1"
cd "$1"
export HOME=$1 GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b.c GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b.c
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'

git init --quiet --initial-branch=main origin
cd origin
for commit in 1 2 3 4 5 6; do
    for file in $(seq 40); do seq $((file * commit)) $((file * commit + 300)) >"file$file"; done
    git add .
    git commit --quiet --message "commit $commit"
done
git gc --quiet --aggressive
git rev-parse HEAD
git index-pack --threads=4 -o "$1/pack.idx" .git/objects/pack/pack-*.pack
cd ..

git clone --quiet "file://$1/origin" copy
cd copy
git checkout --quiet -b side HEAD~3
echo more >>file1
git commit --quiet --all --message side
git rebase --quiet main >/dev/null 2>&1 || {
    git checkout --quiet --theirs file1
    git add file1
    GIT_EDITOR=true git rebase --continue >/dev/null 2>&1
}
git log --format='%h %s' --graph
git fsck --no-progress --no-dangling
git push --quiet origin side
git -C ../origin branch
git count-objects -v | grep -E '^(in-pack|packs):'
exec git grep --threads=4 -c '^42$'
