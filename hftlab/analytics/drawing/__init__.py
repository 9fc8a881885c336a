"""How results look: SVG without a script that reads on light and dark pages, and the words beside it.

The axes are those of `hftlab.svg`.

`pictures`  signed bars, intervals, `amount`
`heatmap`   two parameters as a map of squares
`words`     times and shares as text
"""
