//! The columnar store of spans, for many tenants. Step 4.
