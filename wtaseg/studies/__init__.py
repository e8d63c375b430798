"""Studies: experiments of a published table, run and reported by one command."""
