//! Policy and parser of the filter.
