"""What papers say, to hold our market and our formulas against.

`avellaneda_stoikov`  their market of 2008 and its two makers
`glft`                the exact depths
`stylized`            `python -m hftlab.analytics.theory.stylized`: the bars of a synthetic market
`stylized_facts`      the statistics behind it
"""
