"""What a piece of feedback is: taxonomy, record, text normalisation, tables, corpus."""
