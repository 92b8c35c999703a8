"""What people see and type: the only modules that print, display or exit."""
