"""What the integration tests are built of: real processes, real sockets, an origin that does what the test says."""
