"""`riad docker`: the stock docker command on Riad's engine, plus verbs that Docker does not have (see `group`)."""
