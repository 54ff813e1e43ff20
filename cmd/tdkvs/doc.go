// Command tdkvs is the store: one binary with the roles server (everything in
// one process), master and volume. This package holds the command line, the
// configuration files and the wiring of the packages below, and nothing that
// another package could hold. It is the only place that ends the process or
// looks at the environment.
package main
