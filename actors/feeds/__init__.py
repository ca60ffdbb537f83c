"""Sources of market data: the synthetic market, recorded captures and CSV files."""
