"""MLflow's search language: filters and orders as text, and the SQL that they mean."""
