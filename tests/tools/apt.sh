# A repository of one package, made on the spot and read by apt, whose methods are children behind pipes: apt.sh FOLDER
set -eu
rm -rf "$1"
mkdir -p "$1"/{repository,package/DEBIAN,state/lists/partial,cache/archives/partial,etc/apt.conf.d,etc/preferences.d}
cd "$1"
touch state/status
cat >package/DEBIAN/control <<'END'
Package: greeting
Version: 1.2
Architecture: all
Maintainer: A <a@b.c>
Description: says hello
END
SOURCE_DATE_EPOCH=1700000000 dpkg-deb --root-owner-group -Znone --build package repository/greeting_1.2_all.deb >/dev/null
(cd repository && {
    cat ../package/DEBIAN/control
    echo "Filename: ./greeting_1.2_all.deb"
    echo "Size: $(stat -c %s greeting_1.2_all.deb)"
    echo "SHA256: $(sha256sum <greeting_1.2_all.deb | cut -d' ' -f1)"
} >Packages)
echo "deb [trusted=yes] file:$1/repository ./" >etc/sources.list
# What the system's own settings would start after an update is no part of this.
echo "Dir::Etc::parts \"$1/etc/apt.conf.d\";" >apt.conf
export APT_CONFIG=$1/apt.conf
options=(-o "Dir::Etc=$1/etc" -o "Dir::State=$1/state" -o "Dir::State::status=$1/state/status" -o "Dir::Cache=$1/cache"
    -o "Dir::Etc::sourceparts=-" -o APT::Sandbox::User=root -o APT::Architecture=amd64 -o Dpkg::Use-Pty=0 -qq)

apt-get "${options[@]}" update
apt-get "${options[@]}" indextargets --format '$(CREATED_BY) $(TRUSTED)'
apt-cache "${options[@]}" show greeting
apt-cache "${options[@]}" policy greeting | tail -n +2 | grep -v file:
apt-get "${options[@]}" --simulate install greeting
apt-get "${options[@]}" --simulate install nothing 2>&1 || echo "status $?"
apt-get "${options[@]}" download greeting
dpkg-deb --field greeting_1.2_all.deb Package Version
exec apt-get "${options[@]}" update
