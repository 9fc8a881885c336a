"""The one door in: an authenticated HTTP and WebSocket interface of the engine process, on the loopback address (see docs/api.md)."""
