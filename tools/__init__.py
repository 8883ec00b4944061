"""What sets up and runs a real Odoo 19 around this addon: standard library only."""
