// The program is in Main/; see ARCHITECTURE.md.
