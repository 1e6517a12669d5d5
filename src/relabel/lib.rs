//! Relabeling: Prometheus' rules that rewrite, keep and drop sets of labels. Step 2.
