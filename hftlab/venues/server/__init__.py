"""The loopback exchange: speaks Binance and Hyperliquid over our matching engine, and misbehaves on request."""
