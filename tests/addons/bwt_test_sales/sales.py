# Copyright 2026 bwt
# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Orders with lines, as the addon Sales has them, which needs minutes to install."""

from odoo import fields, models


class ShopSale(models.Model):
    _name = "shop.sale"
    _description = "Shop Sale"

    name = fields.Char(required=True)
    date_order = fields.Datetime()
    currency_id = fields.Many2one("res.currency")
    partner_id = fields.Many2one("res.partner")
    order_line = fields.One2many("shop.sale.line", "sale_id")


class ShopSaleLine(models.Model):
    _name = "shop.sale.line"
    _description = "Shop Sale Line"

    sale_id = fields.Many2one("shop.sale", required=True, ondelete="cascade")
    display_type = fields.Selection([("line_note", "Note")])
    name = fields.Char()
    product_id = fields.Many2one("shop.product")
    product_uom_qty = fields.Float()
    price_unit = fields.Float()
    tax_ids = fields.Many2many("shop.tax")


class ShopProduct(models.Model):
    _name = "shop.product"
    _description = "Shop Product"

    name = fields.Char(required=True)
    default_code = fields.Char()


class ShopTax(models.Model):
    _name = "shop.tax"
    _description = "Shop Tax"

    name = fields.Char(required=True)
