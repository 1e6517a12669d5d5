//! An Alertmanager: routes, grouping, silences, inhibition, notifications. Step 8.
