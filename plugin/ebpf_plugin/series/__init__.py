"""Rows that come and go as series: named, chosen, charted."""
