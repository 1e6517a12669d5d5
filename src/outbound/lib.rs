//! The connections that the server opens: HTTP client, TLS, proxies, where requests may go. Step 7.
