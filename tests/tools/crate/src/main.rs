//! Says the sum.
fn main() {
    println!("{}", counted::sum(5));
}
