"""What the tables hold, as frozen structs, and who may do what with it."""
