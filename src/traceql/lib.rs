//! TraceQL. Step 6.
