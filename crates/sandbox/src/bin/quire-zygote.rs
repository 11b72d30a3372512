//! The zygote as a program of its own, for tests and examples whose binary is not `quire`.

fn main() {
    quire_sandbox::zygote::main()
}
