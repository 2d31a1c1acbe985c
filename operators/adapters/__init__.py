"""Between the core and the engines: sources read in step, Beam's DoFns, Kafka clients. No detection here."""
