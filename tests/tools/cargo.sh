# A crate with a build script, copied, built from nothing, tested and run by cargo: cargo.sh CRATE FOLDER
set -eu
rm -rf "$2"
cp -r "$1" "$2"
cd "$2"
cargo run --offline --quiet --jobs 4
cargo test --offline --quiet --jobs 4 2>&1 | grep -E '^(test result|running)' | sed 's/; finished.*//'
touch src/lib.rs
exec cargo build --offline --quiet --jobs 4
