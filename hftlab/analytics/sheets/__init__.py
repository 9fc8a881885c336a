"""A report for people who were not there: the tear sheet as one HTML file, and a session as one page of text.

`tear_sheet`  the page
`sections`    its sections, in order
`tables`      a measure, its value, its interval
`pictures`    equity, drawdown, spreads, lives of quotes
`summary`     a session as plain text
`grade`       the performance grade
"""
