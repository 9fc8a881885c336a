"""The live path: sockets to rows, requests to orders at a real venue or the loopback exchange."""
