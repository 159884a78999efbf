//! The whole cluster through its clients, with time standing still.
