//! Pulling metrics: the configuration of Prometheus, discovery of targets, scrapes. Step 8.
