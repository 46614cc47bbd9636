"""From text to decision: bundle, tokenizer, inference engine, calibrated decisions."""
