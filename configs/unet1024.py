"""A BatchNorm U-Net at 1024x1536 for accelerators, on all labelled photos.

    python -m carvana_jax.main --config=configs/unet1024.py \\
        --workdir=runs/unet1024 --config.data.manual_dir=FOLDER
"""
