"""What every part of Riad stands on, without a word of any domain: faults, clock, configuration, logs, database,
blobs, outbox, processes. Imports nothing of Riad. Start with `faults`.
"""
