//! What random topologies have found, shrunk.
