# Four files and a library, compiled at once and linked with the whole program in view, by several jobs: gcc.sh FOLDER
set -eu
rm -rf "$1"
mkdir "$1"
cd "$1"
for part in 1 2 3 4; do
    cat >"part$part.c" <<END
static int twice$part(int value) { return 2 * value + $part; }
int part$part(int value) { for (int i = 0; i < $part; i++) value = twice$part(value); return value; }
END
done
cat >main.c <<'END'
#include <stdio.h>
int part1(int), part2(int), part3(int), part4(int);
int main(void) { printf("%d\n", part4(part3(part2(part1(1))))); return 0; }
END
objects='main.o part1.o part2.o part3.o part4.o'
printf 'program: %s\n\tgcc -O2 -flto=4 -pipe -o $@ $^\n' "$objects" >Makefile
printf '%%.o: %%.c\n\tgcc -O2 -flto -pipe -c -o $@ $<\n' >>Makefile
make --silent --jobs=4
./program
echo 'int main(void) { return missing; }' >wrong.c
gcc -c wrong.c 2>&1 | sed -n 's/.*error: //p'
gcc -shared -fPIC -Wl,--build-id=none -o libpart.so part1.c part2.c
nm -D --defined-only libpart.so | cut -d' ' -f3 | grep part
sha256sum <libpart.so
# shellcheck disable=SC2086
exec gcc -O2 -flto=4 -o program $objects
