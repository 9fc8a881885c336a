"""The report of a run: `Report` in `report`, its methods by subject in mixins, its tables and its short page.

And the runs that can be made again from it.

`report`       the Report
`markouts`     mixin: markouts, toxicity, workbench
`returns`      mixin: returns, performance, rolling Sharpe
`costs`        mixin: costs, quality, attribution, sheets
`luck`         mixin: its place among all runs
`frames`       its tables, in human units
`page`         as HTML in a notebook
`origin`       the tape and the call it came from
`compare`      two runs: what differs, where they part
`bracket`      harshest, chosen and kindest queue
`sensitivity`  the same run under other assumptions
"""
