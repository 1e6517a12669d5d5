//! Recording and alerting rules: rule files, groups, evaluation, the state of alerts. Step 8.
