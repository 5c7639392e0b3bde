"""Sessions in containers of a Docker engine, or of one that speaks its language. The SDK is used here alone."""
