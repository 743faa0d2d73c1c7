//! What nodes share, and what a page does not need.
