"""What did happen: the journal, its projections and the ledger. Imports `fsm` only."""
