//! YAML files of other systems: a tree of nodes that know their lines, and fields that are read by name. Step 1.
