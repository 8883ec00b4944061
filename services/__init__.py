"""Pure Python: values, decisions and HTTP. Knows neither Odoo nor the database."""
